// The serial console page: xterm.js on this site's own WebSocket.
import { Hops, socketAddress } from "./hops.js";

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
    terminal.focus();
  });
  socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
  socket.addEventListener("close", (event) => {
    reconnect.hidden = false;
    hops.closed(opened, event);
  });
}

terminal.onData((text) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
});
reconnect.addEventListener("click", connect);
connect();
