"use strict";
const page = document.getElementById("page");
const show = (state) => { page.dataset.state = state; };
const yuan = (fen) => `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, "0")}`;
let order = null;

/** The order number in an address like #/pages/rt/index?appKey=…&no=…, or nothing. */
function numberInAddress() {
  return new URLSearchParams(location.hash.split("?")[1] ?? "").get("no");
}

async function read() {
  const number = numberInAddress();
  if (!number) return waitForOrder();
  const response = await fetch(`/sim/orders/${encodeURIComponent(number)}`);
  if (!response.ok) return show("unknown");
  order = await response.json();
  document.getElementById("amount").textContent = yuan(order.total);
  document.getElementById("paid-amount").textContent = yuan(order.total);
  document.getElementById("last-four").textContent = number.slice(-4);
  show(order.paid ? "done" : "ready");
}

/** Nothing was scanned: as soon as an order is to be paid, the phone holds its code. */
async function waitForOrder() {
  show("none");
  const newest = (await (await fetch("/sim/newest")).json()).page;
  if (newest) location.hash = newest.slice(newest.indexOf("#"));
  else setTimeout(read, 1000);
}

async function pay(tradeType) {
  const keys = page.querySelectorAll("button");
  keys.forEach((key) => { key.disabled = true; });
  try {
    const response = await fetch("/sim/pay", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ orderNo: order.orderNo, tradeType }),
    });
    show(response.ok ? "done" : "unknown");
  } finally {
    keys.forEach((key) => { key.disabled = false; });
  }
}

document.getElementById("pay").addEventListener("click", () => pay("pay.weixin.jspay"));
document.getElementById("pay-alipay").addEventListener("click", () => pay("pay.alipay.native"));
document.getElementById("cancel").addEventListener("click", () => show("cancelled"));
document.getElementById("again").addEventListener("click", read);
window.addEventListener("hashchange", read);
read();
