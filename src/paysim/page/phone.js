// The customer's phone. The address says which order (#/pages/rt/index?appKey=…&no=…); everything else is asked for.
// It must never show "paid" before the platform has said so.
"use strict";

const view = document.getElementById("view");
const ASK_AGAIN_MS = 800;

// Each scan is a new visit; whatever an older one still waits for is of no interest any more.
let visit = 0;
let lastNumber = null;

const pause = (ms) => new Promise((over) => setTimeout(over, ms));

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { cache: "no-store", ...options });
  return { status: response.status, body: await response.json() };
}

function show(name) {
  view.replaceChildren(document.getElementById(`${name}-view`).content.cloneNode(true));
  document.body.dataset.view = name;
  // The animation of a view that comes in starts anew.
  view.style.animation = "none";
  void view.offsetWidth;
  view.style.animation = "";
  view.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function inTwo(element, chinese, english) {
  const small = document.createElement("small");
  small.lang = "en";
  small.textContent = english;
  element.replaceChildren(chinese, small);
}

// Whole numbers only: fen are counted, never divided into fractions.
function yuan(fen) {
  const digits = String(fen).padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function fill(order) {
  const amount = document.getElementById("amount");
  const sign = document.createElement("span");
  sign.textContent = "¥";
  amount.replaceChildren(sign, yuan(order.total));
  amount.classList.toggle("long", order.total >= 10000000);
  view.querySelector("[data-tail]").textContent = order.orderNo.slice(-4);
}

function on(id, act) {
  document.getElementById(id).addEventListener("click", act);
}

// Back to where no code has been scanned: the next order opens by itself.
function scanAgain() {
  if (location.hash) location.hash = "";
  else open();
}

function showDone(order, justNow) {
  show("done");
  if (justNow) inTwo(view.querySelector("[data-done]"), "支付成功", "Payment complete");
  else inTwo(view.querySelector("[data-done]"), "已支付", "Already paid");
  fill(order);
  on("next", scanAgain);
}

function showCancelled(order) {
  visit += 1;
  show("cancelled");
  on("back", open);
  on("next", scanAgain);
}

function showPay(order, mine) {
  show("pay");
  fill(order);
  on("cancel", () => showCancelled(order));
  const buttons = [...view.querySelectorAll("button")];
  let paying = false;
  const pay = async (event) => {
    const button = event.currentTarget;
    paying = true;
    document.getElementById("trouble").hidden = true;
    buttons.forEach((other) => { other.disabled = true; });
    button.classList.add("busy");
    let status = 0;
    try {
      ({ status } = await ask("/sim/pay", { orderNo: order.orderNo, tradeType: button.dataset.trade, once: true }));
    } catch {
      // Without an answer nobody knows: the watch below goes on asking the order itself whether it is paid.
    }
    if (mine !== visit) return;
    if (status === 200 || status === 409) {
      visit += 1;
      showDone(order, status === 200);
      return;
    }
    paying = false;
    buttons.forEach((other) => { other.disabled = false; });
    button.classList.remove("busy");
    document.getElementById("trouble").hidden = false;
  };
  on("pay", pay);
  on("pay-alipay", pay);
  watch(order, mine, () => paying);
}

// Somebody else may pay: another phone that has scanned the same code.
async function watch(order, mine, isPaying) {
  for (;;) {
    await pause(ASK_AGAIN_MS);
    if (mine !== visit) return;
    if (isPaying()) continue;
    try {
      const { body } = await ask(`/sim/orders/${encodeURIComponent(order.orderNo)}`);
      if (mine !== visit || isPaying()) continue;
      if (body.paid) {
        visit += 1;
        showDone(body, false);
        return;
      }
    } catch {
      // The next round asks again.
    }
  }
}

async function openOrder(number, mine) {
  for (;;) {
    try {
      const { status, body } = await ask(`/sim/orders/${encodeURIComponent(number)}`);
      if (mine !== visit) return;
      if (status !== 200) {
        show("unknown");
        on("next", scanAgain);
      } else if (body.paid) {
        showDone(body, false);
      } else {
        showPay(body, mine);
      }
      return;
    } catch {
      if (mine !== visit) return;
      if (document.body.dataset.view !== "offline") show("offline");
      await pause(ASK_AGAIN_MS);
      if (mine !== visit) return;
    }
  }
}

async function waitForOrder(mine) {
  show("waiting");
  // Whoever has just paid waits for the next order, not for one that was left behind.
  const after = lastNumber ? `?after=${encodeURIComponent(lastNumber)}` : "";
  while (mine === visit) {
    try {
      const { body } = await ask(`/sim/newest${after}`);
      if (mine !== visit) return;
      if (document.body.dataset.view !== "waiting") show("waiting");
      if (body.path) {
        location.replace(body.path.slice(1));
        return;
      }
    } catch {
      if (mine !== visit) return;
      if (document.body.dataset.view !== "offline") show("offline");
    }
    await pause(ASK_AGAIN_MS);
  }
}

function open() {
  visit += 1;
  const query = location.hash.split("?")[1];
  const number = query && new URLSearchParams(query).get("no");
  if (number) {
    lastNumber = number;
    openOrder(number, visit);
  } else {
    waitForOrder(visit);
  }
}

window.addEventListener("hashchange", open);
open();
