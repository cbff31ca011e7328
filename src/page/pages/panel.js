// A panel above the page: a dialog that closes by its button and by Escape.
import { $ } from './messages.js';

export function openPanel(id) {
  const panel = $(id);
  panel.querySelector('.close').onclick = () => panel.close();
  panel.showModal();
  panel.scrollTop = 0;
}
