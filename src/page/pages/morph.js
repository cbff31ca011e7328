// Makes one element's content that of another, and leaves alone what is the same: focus, selection, what is open, what is being written.

/** Fields that somebody changed and has not sent. */
const kept = new WeakSet();

export function morph(from, to) {
  const old = [...from.childNodes];
  const byKey = new Map(old.flatMap((node) => (keyOf(node) ? [[keyOf(node), node]] : [])));
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const match = keyOf(wanted) ? byKey.get(keyOf(wanted)) : at && !keyOf(at) && isAlike(at, wanted) ? at : undefined;
    if (!match) {
      from.insertBefore(wanted, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else from.insertBefore(match, at);
    update(match, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

morph.keep = (field) => kept.add(field);
morph.release = (field) => kept.delete(field);

const keyOf = (node) => node.dataset?.key;
const isAlike = (one, other) => one.nodeName === other.nodeName && (one.id ?? '') === (other.id ?? '');

function update(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  for (const { name, value } of [...wanted.attributes]) {
    if (isFree(node, name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    if (isFree(node, name) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  if (node.nodeName === 'TEXTAREA' || node.nodeName === 'SELECT' ? !kept.has(node) : true) morph(node, wanted);
}

/** Whether an attribute is the server's to say: what is open or chosen is the reader's. */
const isFree = (node, name) => !(node.nodeName === 'DETAILS' && name === 'open') && !kept.has(node);
