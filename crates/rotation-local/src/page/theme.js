// Sets the theme before the page is painted: the one that was chosen, or that of the system.
'use strict';

{
  const KEY = 'rotation-local.theme';
  const system = window.matchMedia('(prefers-color-scheme: dark)');

  /** Returns the chosen theme, or null. Storage can be turned off in the browser. */
  const chosen = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };

  const current = () => chosen() ?? (system.matches ? 'dark' : 'light');

  const apply = () => {
    document.documentElement.dataset.theme = current();
    const button = document.getElementById('theme');
    if (button) button.textContent = current() === 'dark' ? 'Light theme' : 'Dark theme';
  };

  /** Switches to the other theme. If that is the system's, the page follows the system again. */
  const toggle = () => {
    const next = current() === 'dark' ? 'light' : 'dark';
    const isOfSystem = (next === 'dark') === system.matches;
    try {
      if (isOfSystem) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch { /* Without storage, the theme cannot be chosen. */ }
    apply();
  };

  apply();
  system.addEventListener('change', apply);
  document.addEventListener('DOMContentLoaded', () => {
    apply();
    document.getElementById('theme').addEventListener('click', toggle);
  });
}
