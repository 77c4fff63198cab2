// What a page must have so that everybody can use it; returns what is missing, in words.
() => {
  const wrong = [];
  const shown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== "hidden";
  const name = (element) => {
    const labelled = (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent || "").join(" ");
    const labels = [...(element.labels || [])].map((label) => label.textContent).join(" ");
    return (element.getAttribute("aria-label") || labelled || labels || element.textContent || element.title || "").trim();
  };
  const about = (element) => element.outerHTML.slice(0, 120);

  if (document.documentElement.lang !== "en") wrong.push("the page has no language");
  if (!document.title.trim()) wrong.push("the page has no title");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not exactly one h1");
  if (document.querySelectorAll("main").length !== 1) wrong.push("there is not exactly one main");
  for (const nav of document.querySelectorAll("nav")) if (!nav.getAttribute("aria-label")) wrong.push(`nameless ${about(nav)}`);
  for (const image of document.images) if (!image.hasAttribute("alt")) wrong.push(`no alt: ${about(image)}`);
  for (const frame of document.querySelectorAll("iframe")) if (!frame.title) wrong.push(`no title: ${about(frame)}`);
  for (const head of document.querySelectorAll("th")) if (!head.scope) wrong.push(`no scope: ${about(head)}`);

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) wrong.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    const names = `${element.getAttribute("aria-labelledby") || ""} ${element.getAttribute("aria-describedby") || ""}`;
    for (const id of names.split(" ").filter(Boolean)) if (!document.getElementById(id)) wrong.push(`no #${id}`);
  }

  const controls = "button, a[href], input:not([type=hidden]), select, textarea, meter, [role=group], [role=application]";
  for (const control of document.querySelectorAll(controls)) {
    if (shown(control) && !name(control)) wrong.push(`nameless: ${about(control)}`);
  }
  let level = 1;
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) wrong.push(`a heading is skipped before ${about(heading)}`);
    level = now;
  }

  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g)?.map(Number);
    if (!numbers) return null;
    const scale = text.startsWith("color(") ? 1 : 255;
    return { rgb: numbers.slice(0, 3).map((value) => value / scale), alpha: numbers[3] ?? 1 };
  };
  const light = (rgb) => rgb.map(channel).reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const over = (top, below) => top.rgb.map((value, at) => value * top.alpha + below[at] * (1 - top.alpha));
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour && colour.alpha > 0) layers.push(colour);
      if (colour?.alpha === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [1, 1, 1]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(element) || element.closest("option, :disabled, .unseen, .skip, noscript")) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const ink = parse(style.color);
    const [a, b] = [light(over(ink, below)), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(2)}: ${about(element)}`);
  }
  return wrong;
}
