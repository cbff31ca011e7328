// What runs inside a page, in a world of its own that the page's scripts cannot see: reads the page as text with numbers for what can be
// used, and finds a number's element again. A string, because it is the browser that compiles it.

/** An expression whose value has `read()`, `point(ref)`, `focus(ref)` and `choose(ref, text)`. The first use makes it. */
export const PAGE_SCRIPT = String.raw`(globalThis.pinch ??= (() => {
  const MAX = 200000;
  const SKIPPED = /^(SCRIPT|STYLE|NOSCRIPT|TEMPLATE|HEAD|OBJECT|EMBED|CANVAS|SVG)$/i;
  let refs = [];
  let text = '';
  const short = (value, max) => {
    const words = String(value ?? '').replace(/\s+/g, ' ').trim();
    return words.length > max ? words.slice(0, max) + '…' : words;
  };
  const newLine = () => {
    text = text.replace(/ +$/, '');
    if (text !== '' && !text.endsWith('\n')) text += '\n';
  };
  const add = (words) => {
    text += words;
  };
  const ref = (element) => refs.push(element);
  const nameOf = (element) =>
    short(
      element.getAttribute('aria-label') || element.labels?.[0]?.innerText || element.placeholder || element.title || element.name,
      80,
    );
  const field = (element) => {
    const type = String(element.type || 'text').toLowerCase();
    const name = nameOf(element);
    if (type === 'hidden') return '';
    if (/^(submit|button|reset|image)$/.test(type)) return '[' + ref(element) + ' button "' + short(element.value || name || type, 80) + '"] ';
    if (/^(checkbox|radio)$/.test(type)) return '[' + ref(element) + ' ' + type + ' "' + name + '"' + (element.checked ? ' checked' : '') + '] ';
    if (type === 'file') return '[file field "' + name + '", cannot be used] ';
    const value = type === 'password' ? '•'.repeat(element.value.length) : short(element.value, 200);
    return '[' + ref(element) + ' field "' + name + '" = "' + value + '"] ';
  };
  const list = (element) => {
    const options = [...element.options].slice(0, 40).map((option) => short(option.label, 60));
    const chosen = [...element.selectedOptions].map((option) => short(option.label, 60));
    return '[' + ref(element) + ' list "' + nameOf(element) + '" = "' + chosen.join(', ') + '" of: ' + options.join(' / ') + '] ';
  };
  const isUsable = (element) =>
    element.matches('button,summary,[role=button],[role=tab],[role=menuitem],[role=checkbox],[role=switch],[role=option],[onclick]');
  const children = (node) => {
    if (node.tagName === 'SLOT') return node.assignedNodes().length > 0 ? node.assignedNodes() : node.childNodes;
    return node.shadowRoot ? node.shadowRoot.childNodes : node.childNodes;
  };
  const walkAll = (nodes) => {
    // A form's fields can take the place of its properties: such a part stays unread, not the page.
    for (const node of nodes) {
      try {
        walk(node);
      } catch {
        add('[unreadable] ');
      }
    }
  };
  const walkFrame = (frame) => {
    newLine();
    let inner;
    try {
      inner = frame.contentDocument?.body;
    } catch {}
    if (inner) walk(inner);
    else add('[frame of another site: ' + short(frame.src, 200) + ']');
    newLine();
  };
  const walkText = (node) => {
    const isPre = node.parentElement && getComputedStyle(node.parentElement).whiteSpace.startsWith('pre');
    const words = isPre ? node.data : node.data.replace(/\s+/g, ' ');
    add(!isPre && (text === '' || /\s$/.test(text)) ? words.trimStart() : words);
  };
  const walkElement = (element) => {
    const tag = element.tagName;
    if (tag === 'BR') return newLine();
    if (tag === 'IFRAME') return walkFrame(element);
    if (tag === 'INPUT' || tag === 'TEXTAREA') return add(field(element));
    if (tag === 'SELECT') return add(list(element));
    if (tag === 'IMG') return add(element.alt ? '(image: ' + short(element.alt, 100) + ') ' : '');
    const heading = /^H([1-6])$/.exec(tag);
    if (heading) add('#'.repeat(Number(heading[1])) + ' ');
    if (tag === 'LI') add('- ');
    const isLink = tag === 'A' && element.hasAttribute('href');
    if (isLink || isUsable(element)) add('[' + ref(element) + (isLink ? ' link] ' : ' button] '));
    if (element.isContentEditable && !element.parentElement?.isContentEditable) add('[' + ref(element) + ' field "' + nameOf(element) + '"] ');
    walkAll(children(element));
    if (tag === 'TD' || tag === 'TH') add(' | ');
  };
  const walk = (node) => {
    if (text.length > MAX) return;
    if (node.nodeType === 3) return walkText(node);
    if (node.nodeType !== 1 || SKIPPED.test(node.tagName)) return;
    const { display, visibility, opacity } = getComputedStyle(node);
    if (display === 'none' || opacity === '0') return;
    if (visibility !== 'visible' && node.childElementCount === 0) return;
    const isBlock = !/^(inline|contents|table-cell)/.test(display);
    if (isBlock) newLine();
    walkElement(node);
    if (isBlock) newLine();
  };
  const find = (number) => {
    const element = refs[number - 1];
    if (!element?.isConnected) throw new Error('there is no [' + number + '] on the page as it is now: use browser_read');
    return element;
  };
  return {
    read() {
      refs = [];
      text = '';
      if (document.body) walk(document.body);
      return { title: short(document.title, 200), url: location.href, text: text.replace(/\n{3,}/g, '\n\n').trim().slice(0, MAX) };
    },
    // Where the mouse has to go; null when the element was clicked here, because something lies over it or it is in a frame.
    point(number) {
      const element = find(number);
      element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
      const box = element.getClientRects()[0] ?? element.getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      const hit = element.getRootNode().elementFromPoint?.(x, y);
      if (element.ownerDocument === document && hit && (element.contains(hit) || hit.contains(element))) return { x, y };
      element.click();
      return null;
    },
    // Ready for text that replaces what is there.
    focus(number) {
      const element = find(number);
      element.scrollIntoView({ block: 'center', behavior: 'instant' });
      element.focus();
      if (element.select) element.select();
      else getSelection().selectAllChildren(element);
    },
    // True when the element is a list, where typing means choosing.
    choose(number, wanted) {
      const element = find(number);
      if (element.tagName !== 'SELECT') return false;
      const option = [...element.options].find((one) => [short(one.label, 60), one.value].includes(wanted.trim()));
      if (!option) throw new Error('the list has no "' + wanted + '"');
      option.selected = true;
      for (const type of ['input', 'change']) element.dispatchEvent(new Event(type, { bubbles: true }));
      return true;
    },
  };
})())`;
