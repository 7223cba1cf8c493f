// Creates and updates elements. Texts are set as text and never parsed as HTML.

/**
 * Creates an element. Attributes that are null, undefined or false are left out, as are such
 * children. `style` is an object with CSS properties.
 */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'style') {
      for (const [property, setting] of Object.entries(value)) {
        created.style.setProperty(property, setting);
      }
    } else {
      created.setAttribute(key, value === true ? '' : value);
    }
  }
  created.append(...children.filter((child) => child || child === 0));
  return created;
}

/** Sets the text of an element, and changes nothing if the element has this text already. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** The signature of the data from which an element was built. */
const signatures = new WeakMap();

/**
 * Updates the children of `parent` to one element per item, in the order of the items. An element
 * whose item has not changed stays in place, with its focus, selection and scroll position.
 *
 * `key` identifies an item, `signature` changes when the element must be built again.
 */
export function reconcile(parent, items, { key, signature = JSON.stringify, build }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const name = String(key(item));
    const sign = signature(item);
    const old = known.get(name);
    known.delete(name);
    if (old && signatures.get(old) === sign) return old;
    const created = build(item);
    created.dataset.key = name;
    signatures.set(created, sign);
    if (old) replace(old, created);
    return created;
  });
  for (const gone of known.values()) gone.remove();
  wanted.forEach((child, place) => {
    const present = parent.children[place] ?? null;
    if (present !== child) parent.insertBefore(child, present);
  });
}

/** Replaces an element, and keeps the focus and the open disclosures in it. */
function replace(old, created) {
  const summaries = [...old.querySelectorAll('details')];
  [...created.querySelectorAll('details')].forEach((details, place) => {
    details.open = summaries[place]?.open ?? false;
  });
  const focusable = 'a, button, summary, [tabindex]';
  const place = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  old.replaceWith(created);
  if (place >= 0) created.querySelectorAll(focusable)[place]?.focus({ preventScroll: true });
}
