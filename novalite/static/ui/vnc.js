// The VNC console page: connects noVNC through this site's own WebSocket and says in words what is wrong.
import RFB from "../novnc/core/rfb.js";
import { strokes } from "./typing.js";
import { Hops, Retry, socketAddress } from "./hops.js";

const page = document.getElementById("console");
const screen = document.getElementById("screen");
const hops = new Hops(page);
const buttons = [...page.querySelectorAll("[data-needs-screen]")];
const paste = document.getElementById("paste");
const pasteText = document.getElementById("paste-text");
const pasteNote = document.getElementById("paste-note");
const retry = new Retry(connect);
let rfb = null;

function connect() {
  page.querySelector("[data-do=reconnect]").hidden = true;
  hops.connecting();
  const socket = new WebSocket(socketAddress(), ["binary"]);
  let opened = false;
  socket.addEventListener("open", () => { opened = true; });
  socket.addEventListener("close", (event) => closed(opened, event));
  screen.replaceChildren();
  rfb = new RFB(screen, socket);
  rfb.scaleViewport = true;
  rfb.background = "#101418";
  rfb.addEventListener("connect", () => {
    buttons.forEach((button) => { button.disabled = false; });
    hops.connected();
    retry.succeeded();
    rfb.focus();
  });
  rfb.addEventListener("securityfailure", (event) => {
    hops.failed("guest", `The guest's console refused: ${event.detail.reason || "no reason given"}.`);
  });
}

async function closed(opened, event) {
  buttons.forEach((button) => { button.disabled = true; });
  page.querySelector("[data-do=reconnect]").hidden = false;
  if (await hops.closed(opened, event)) retry.lost();
}

function say(text) {
  pasteNote.textContent = text;
}

function pause(milliseconds) {
  return new Promise((done) => { setTimeout(done, milliseconds); });
}

async function type(text) {
  const { keys, refused } = strokes(text);
  if (refused.length) {
    say(`These characters are not on a US keyboard and cannot be typed: ${refused.join(" ")}`);
    return;
  }
  paste.close();
  rfb.focus();
  for (const { keysym, code, shift } of keys) {
    if (shift) rfb.sendKey(0xffe1, "ShiftLeft", true);
    rfb.sendKey(keysym, code, true);
    rfb.sendKey(keysym, code, false);
    if (shift) rfb.sendKey(0xffe1, "ShiftLeft", false);
    await pause(12);
  }
  hops.say(`Typed ${keys.length} characters`, "connected");
}

const actions = {
  keys: () => { rfb.sendCtrlAltDel(); rfb.focus(); },
  paste: () => { say(""); paste.showModal(); },
  send: () => type(pasteText.value),
  cancel: () => paste.close(),
  full: () => (document.fullscreenElement ? document.exitFullscreen() : page.requestFullscreen()),
  reconnect: () => retry.now(),
};

page.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name) actions[name]();
});

// Every key belongs to the guest while its screen has the focus, so there has to be a way out.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.altKey && event.shiftKey && rfb) {
    rfb.blur();
    page.querySelector("[data-do]:not([hidden]):not(:disabled)").focus();
  }
}, true);

if (page.dataset.ready === "yes") connect();
