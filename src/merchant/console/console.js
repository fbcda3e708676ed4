// Today stays today: what changes is asked for every few seconds. Whoever types in the search is not disturbed.
"use strict";
const live = document.getElementById("live");
setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch("/live");
    if (answer.status === 401) location.reload();
    if (answer.ok) live.innerHTML = await answer.text();
    live.classList.toggle("stale", !answer.ok);
  } catch {
    live.classList.add("stale");
  }
}, 3000);
