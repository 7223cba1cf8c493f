// Replaces the part of the page that changes.
const now = document.getElementById('now');
setInterval(async () => {
  try {
    const answer = await fetch('/now');
    const text = await answer.text();
    if (answer.ok && text !== now.dataset.last) { now.dataset.last = text; now.innerHTML = text; }
    document.body.classList.remove('gone');
  } catch { document.body.classList.add('gone'); }
}, 400);
