// Elements that the chat's scripts make.

/** A button that says this. */
export function buttonOf(text, onClick) {
  const button = element('button', 'small', text);
  button.addEventListener('click', onClick);
  return button;
}

/** An element with a class and a text. */
export function element(name, className, text = '') {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A text with the values of its `{names}`. */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
