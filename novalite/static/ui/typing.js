// Text as key strokes on a US keyboard, which is what guests have unless they are told otherwise.
const PLAIN = {
  " ": "Space", "-": "Minus", "=": "Equal", "[": "BracketLeft", "]": "BracketRight", "\\": "Backslash",
  ";": "Semicolon", "'": "Quote", "`": "Backquote", ",": "Comma", ".": "Period", "/": "Slash",
};
const SHIFTED = {
  "_": "Minus", "+": "Equal", "{": "BracketLeft", "}": "BracketRight", "|": "Backslash", ":": "Semicolon",
  "\"": "Quote", "~": "Backquote", "<": "Comma", ">": "Period", "?": "Slash", "!": "Digit1", "@": "Digit2",
  "#": "Digit3", "$": "Digit4", "%": "Digit5", "^": "Digit6", "&": "Digit7", "*": "Digit8", "(": "Digit9",
  ")": "Digit0",
};

function stroke(character) {
  if (character === "\n") return { keysym: 0xff0d, code: "Enter", shift: false };
  if (character === "\t") return { keysym: 0xff09, code: "Tab", shift: false };
  const keysym = character.charCodeAt(0);
  if (/[a-z]/.test(character)) return { keysym, code: `Key${character.toUpperCase()}`, shift: false };
  if (/[A-Z]/.test(character)) return { keysym, code: `Key${character}`, shift: true };
  if (/[0-9]/.test(character)) return { keysym, code: `Digit${character}`, shift: false };
  if (character in PLAIN) return { keysym, code: PLAIN[character], shift: false };
  if (character in SHIFTED) return { keysym, code: SHIFTED[character], shift: true };
  return null;
}

// {keys: [{keysym, code, shift}], refused: [characters that no key gives]}
export function strokes(text) {
  const keys = [];
  const refused = new Set();
  for (const character of text.replaceAll("\r\n", "\n")) {
    const found = stroke(character);
    if (found) keys.push(found);
    else refused.add(character);
  }
  return { keys, refused: [...refused] };
}
