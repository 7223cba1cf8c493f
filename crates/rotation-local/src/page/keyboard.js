// The keys of the page. Everything is also reachable with Tab.

/** Starts to listen. `close` closes the opened secret. */
export function listenToKeys({ close }) {
  const filter = document.getElementById('filter');
  const dialog = document.getElementById('keys');
  const showKeys = () => dialog.showModal();
  document.getElementById('show-keys').addEventListener('click', showKeys);

  const actions = {
    '/': () => { filter.focus(); filter.select(); },
    '?': showKeys,
    t: () => document.getElementById('theme').click(),
    j: () => moveFocus(1),
    k: () => moveFocus(-1),
    ArrowDown: () => moveFocus(1),
    ArrowUp: () => moveFocus(-1),
    Escape: close,
  };

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    const action = event.target === filter
      ? inFilter(event.key, filter, moveFocus)
      : actions[event.key];
    // Arrow keys scroll what can be scrolled, and choose an option.
    const isArrow = event.key.startsWith('Arrow');
    if (!action || (isArrow && event.target.closest('input[type=radio], .log, .scroll'))) return;
    event.preventDefault();
    action();
  });
}

/** Returns the action of a key in the filter, where letters are text. */
function inFilter(key, filter, move) {
  if (key === 'ArrowDown' || key === 'Enter') return () => move(1);
  if (key !== 'Escape') return null;
  return () => {
    if (filter.value === '') filter.blur();
    filter.value = '';
    filter.dispatchEvent(new Event('input', { bubbles: true }));
  };
}

/** Moves the focus to another secret: from the focused one, or else from the opened one. */
function moveFocus(distance) {
  const links = [...document.querySelectorAll('#secret-list a')];
  if (links.length === 0) return;
  const focused = links.indexOf(document.activeElement);
  const opened = links.findIndex((link) => link.hasAttribute('aria-current'));
  const from = focused >= 0 ? focused : opened;
  const first = distance > 0 ? 0 : links.length - 1;
  const to = from < 0 ? first : Math.min(Math.max(from + distance, 0), links.length - 1);
  links[to].focus();
}
