// Runs before the first paint, so that a chosen theme does not flash. Not a module on purpose.
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("hearth.theme");
  } catch {
    // storage switched off: the system's preference stands
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
