"use strict";
const canvas = document.getElementById("panel");
const slot = document.getElementById("slot");
const caps = new Map([...document.querySelectorAll("[data-key]")].map((cap) => [cap.dataset.key, cap]));

function press(key) {
  const cap = caps.get(key);
  if (!cap) return;
  cap.classList.add("down");
  setTimeout(() => cap.classList.remove("down"), 120);
  fetch("/key", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }) });
}

document.getElementById("keypad").addEventListener("pointerdown", (event) => {
  const cap = event.target.closest("[data-key]");
  if (cap) press(cap.dataset.key);
});
// A screen reader or a switch clicks without a pointer.
document.getElementById("keypad").addEventListener("click", (event) => {
  const cap = event.target.closest("[data-key]");
  if (cap && event.detail === 0) press(cap.dataset.key);
});

const keyboard = { Enter: "#", Escape: "C", Backspace: "B", ",": ".", c: "C", b: "B", r: "R", l: "L" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = keyboard[event.key] ?? event.key;
  if (!caps.has(key)) return;
  event.preventDefault();
  press(key);
});

// Whole numbers only: each of the panel's pixels is a square of the same size.
function fit() {
  const room = Math.min(window.innerWidth - 100, 560);
  const scale = Math.max(1, Math.min(Math.floor(room / canvas.width), Math.floor((window.innerHeight - 220) / canvas.height), 2));
  canvas.style.width = `${canvas.width * scale}px`;
  canvas.style.height = `${canvas.height * scale}px`;
}
window.addEventListener("resize", fit);

async function draw(version) {
  const response = await fetch(`/frame.png?v=${version}`);
  const picture = await createImageBitmap(await response.blob());
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  fit();
}

async function watch() {
  let version = 0;
  let pulses = 0;
  for (;;) {
    try {
      const state = await (await fetch(`/state?after=${version}`)).json();
      if (state.version !== version) {
        version = state.version;
        if (state.screen) await draw(version);
        canvas.dataset.screen = state.screen;
        document.getElementById("pulses").textContent = state.pulses;
        if (state.pulses > pulses) slot.classList.add("full");
        pulses = state.pulses;
        slot.classList.toggle("open", state.dispensing);
        if (state.screen === "pay") slot.classList.remove("full");
      }
    } catch {
      // The kiosk was stopped, or starts again: ask again in a while.
      version = 0;
      await new Promise((again) => setTimeout(again, 1000));
    }
  }
}

async function lead() {
  const links = await (await fetch("/links")).json();
  for (const name of ["phone", "console"]) {
    const link = document.getElementById(name);
    link.hidden = !links[name];
    if (links[name]) link.href = links[name];
  }
  const password = document.getElementById("password");
  password.hidden = !links.password;
  password.textContent = `password 密码: ${links.password}`;
}

fit();
lead();
watch();
