// A button for each line to paste. Without it the line can be marked and copied by hand.
"use strict";

for (const line of document.querySelectorAll(".rollback .console .line")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${line.textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line.textContent);
    } catch { // not over HTTPS, or not allowed: what is marked can be copied with the keys
      getSelection().selectAllChildren(line);
      button.textContent = "Marked: press Ctrl+C";
      return;
    }
    button.textContent = "Copied";
  });
  line.after(" ", button);
}
