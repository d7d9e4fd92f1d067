/* What makes pages pleasanter where scripts run; every page works without. Nothing here decides anything.

   data-popup on <details>       closes on Escape and on a click elsewhere
   data-focus                    takes the focus when the page arrives (the error summary)
   data-undo-seconds             on a form: its button hides when the seconds are over, since the server refuses then
   form                          is sent once, however often its button is pressed
   #status                       what htmx puts there floats, so that nothing moves under the pointer, never over what has
                                 the focus, and leaves by itself */
(() => {
  "use strict";

  const CALM_SECONDS = 12;
  const BUSY_MILLISECONDS = 300;
  const FOCUS_RING_PIXELS = 6;
  const status = document.getElementById("status");

  // popups

  const openPopups = () => document.querySelectorAll("details[data-popup][open]");

  document.addEventListener("click", (event) => {
    for (const popup of openPopups()) if (!popup.contains(event.target)) popup.open = false;
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const popup of openPopups()) {
      popup.open = false;
      if (popup.contains(document.activeElement)) popup.querySelector("summary").focus();
    }
    calm();
  });

  // one press, one request

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.hasAttribute("hx-post") || form.hasAttribute("hx-get")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });

  window.addEventListener("pageshow", () => {
    // the page may come back from the browser's memory, and its forms must work again
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    }
  });

  // undo ends when its seconds are over

  const forget = (form) => {
    const hadFocus = form.contains(document.activeElement);
    const ended = form.parentElement?.querySelector(".quiet-what");
    form.remove();
    if (hadFocus) ended?.focus({ preventScroll: true });
  };

  const countDown = (root) => {
    for (const form of root.querySelectorAll("form[data-undo-seconds]:not([data-counting])")) {
      form.dataset.counting = "yes";
      setTimeout(() => forget(form), Number(form.dataset.undoSeconds) * 1000);
    }
  };

  // what was said

  let quiet;

  const calm = () => {
    if (!status?.classList.contains("is-floating")) return;
    clearTimeout(quiet);
    status.classList.remove("is-floating", "is-above");
    status.replaceChildren();
  };

  const hides = (element) => {
    const said = status.getBoundingClientRect();
    const box = element.getBoundingClientRect();
    const fits = box.height < window.innerHeight - said.height; // what is taller than the room beside it is never hidden
    return fits && box.top < said.bottom && box.bottom > said.top && box.left < said.right && box.right > said.left;
  };

  const uncover = () => {
    // what was said goes to the other edge before the page moves, and the page moves only where both edges hide the focus
    const focused = document.activeElement;
    if (!status?.classList.contains("is-floating") || focused === document.body || status.contains(focused)) return;
    if (!hides(focused)) return;
    status.classList.toggle("is-above");
    if (!hides(focused)) return;
    status.classList.remove("is-above");
    const beyond = focused.getBoundingClientRect().bottom - status.getBoundingClientRect().top;
    window.scrollBy({ top: beyond + FOCUS_RING_PIXELS, behavior: "instant" });
  };

  document.addEventListener("focusin", () => requestAnimationFrame(uncover)); // by then the browser has scrolled to it

  const say = () => {
    clearTimeout(quiet);
    if (!status.textContent.trim()) return;
    status.classList.add("is-floating");
    uncover();
    if (!status.querySelector(".notice--danger")) quiet = setTimeout(calm, CALM_SECONDS * 1000);
  };

  // htmx

  let wanted; // what had the focus, and is about to be replaced

  document.addEventListener("htmx:before:swap", () => {
    const focused = document.activeElement;
    wanted = focused && focused !== document.body ? { id: focused.id, row: focused.closest("[id]")?.id } : undefined;
  });

  const refocus = () => {
    // htmx itself focuses what has the attribute autofocus in the part it swapped in
    if (!wanted || document.activeElement !== document.body) return;
    const again = wanted.id && document.getElementById(wanted.id);
    const row = wanted.row && document.getElementById(wanted.row);
    (again || row?.querySelector("button, a[href], summary, input"))?.focus({ preventScroll: true });
  };

  document.addEventListener("htmx:after:swap", () => {
    countDown(document);
    refocus();
    uncover();
  });

  document.addEventListener("htmx:response:error", (event) => {
    // what was refused is not shown as if it stood
    const source = event.detail.ctx.sourceElement;
    if (source instanceof HTMLFormElement && source.method === "post") source.reset();
  });

  if (status) {
    const said = new MutationObserver(say);
    document.addEventListener("htmx:before:request", () => said.observe(status, { childList: true }), { once: true });
  }

  // a word when an answer takes its time

  const busy = document.createElement("p");
  busy.className = "busy";
  busy.textContent = "Working…";
  let waiting = 0;
  let slow;

  document.addEventListener("htmx:before:request", () => {
    waiting += 1;
    if (waiting === 1) slow = setTimeout(() => document.body.append(busy), BUSY_MILLISECONDS);
  });

  document.addEventListener("htmx:finally:request", () => {
    waiting = Math.max(0, waiting - 1);
    if (waiting > 0) return;
    clearTimeout(slow);
    busy.remove();
  });

  document.addEventListener("htmx:error", () => {
    if (!status) return;
    const words = document.createElement("p");
    words.className = "notice notice--danger";
    words.textContent = "The portal could not be reached. Check your connection and try again; if you changed something, reload the page to see how it stands.";
    status.replaceChildren(words);
  });

  // on arrival

  document.querySelector("[data-focus]")?.focus();
  countDown(document);
})();
