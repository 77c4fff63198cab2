// The serial console page: xterm.js on this site's own WebSocket.
import "../xterm/lib/xterm.js";
import { Hops, Retry, socketAddress } from "./hops.js";

const page = document.getElementById("console");
const hops = new Hops(page);
const reconnect = page.querySelector("[data-do=reconnect]");
const encoder = new TextEncoder();
// a serial line knows nothing of window sizes: guests take it for 80 by 24
const terminal = new window.Terminal({
  cols: 80, rows: 24, scrollback: 5000, screenReaderMode: true, fontSize: 15,
  fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
  theme: { background: "#101418", foreground: "#d6e2f5" },
});
terminal.open(document.getElementById("screen"));
const retry = new Retry(connect);
let socket = null;

function connect() {
  reconnect.hidden = true;
  hops.connecting();
  let opened = false;
  socket = new WebSocket(socketAddress(), ["binary"]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    opened = true;
    hops.connected();
    retry.succeeded();
    terminal.focus();
  });
  socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
  socket.addEventListener("close", async (event) => {
    reconnect.hidden = false;
    if (await hops.closed(opened, event)) retry.lost();
  });
}

terminal.onData((text) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
});
reconnect.addEventListener("click", () => retry.now());
connect();
