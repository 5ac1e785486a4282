// Airflow shows this page in a frame that may open no window and not replace the page around it. A link that leads back into
// Airflow is therefore pressed in that page, which is of the same origin.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[target=_top]");
  if (link === null || window.parent === window) return;
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = link.href;
  window.parent.document.body.append(outside);
  outside.click();
  outside.remove();
});
