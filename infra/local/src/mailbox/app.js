// What a frontend would do with the links in mails: hand the token on, and say what came of it.
"use strict";
const token = new URLSearchParams(location.search).get("token") || "";
const done = document.getElementById("done");

async function post(path, body) {
  done.textContent = "…";
  try {
    const answer = await fetch("/api/v1/auth/" + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    const said = answer.headers.get("content-type") || "";
    const detail = said.includes("json") && text ? JSON.parse(text).detail || "" : "";
    done.textContent = answer.ok ? "Done." : `${answer.status} ${detail}`;
  } catch (error) {
    done.textContent = String(error);
  }
}

document.getElementById("verify")?.addEventListener("click", () => 
  post("verify-email", { token, password: document.getElementById("password").value }));
document.getElementById("reset")?.addEventListener("click", () =>
  post("reset-password", { token, password: document.getElementById("password").value }));
