// The tip that follows the pointer over bars, calls and logins.

/** Shows the text of the attribute `data-tip` of what is under the pointer. */
export function showTips(tip) {
  document.addEventListener('pointermove', (event) => {
    const target = event.target.closest?.('[data-tip]');
    tip.hidden = !target;
    if (!target) return;
    tip.textContent = target.dataset.tip;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 12, room))}px`;
    tip.style.top = `${event.clientY + 18}px`;
  });
}
