// Loads a console's modules. A network that changes meanwhile makes browsers give up on files: try again, then say so.
(() => {
  const { module } = document.currentScript.dataset;
  const key = "novalite-console-loads";
  import(module).then(() => sessionStorage.removeItem(key), () => {
    const failed = Number(sessionStorage.getItem(key)) + 1;
    if (failed <= 4) {
      sessionStorage.setItem(key, failed);
      setTimeout(() => location.reload(), 500 * failed);
    } else {
      sessionStorage.removeItem(key);
      document.querySelector("#console [role=status]").textContent =
        "The files of this page could not be loaded. Is NovaLite running? Reload the page to try again.";
    }
  });
})();
