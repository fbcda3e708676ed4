// Today stays today: the page is loaded again every ten seconds, but not under somebody who types.
"use strict";
setInterval(() => {
  const search = document.getElementById("search");
  const isTyping = search && (search.value || document.activeElement === search);
  if (!document.hidden && !isTyping) location.reload();
}, 10000);
