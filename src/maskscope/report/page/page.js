(function () {
  "use strict";
  var PAPER_PX = 680, NARROW_PX = 600, LEGEND_LINE_PX = 18;
  var settings = { responsive: true, displayModeBar: false };
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));

  function draw(plot) {
    var source = document.querySelector('script[data-for="' + plot.id + '"]');
    var content = JSON.parse(source.textContent);
    if (plot.clientWidth < NARROW_PX) {  // the legend takes more lines there
      var named = content.data.filter(function (trace) { return trace.name && trace.showlegend !== false; });
      content.layout.height += LEGEND_LINE_PX * Math.floor(named.length / 2);
      plot.style.height = content.layout.height + "px";
    }
    return Plotly.newPlot(plot, content.data, content.layout, settings);
  }

  // A picture by itself, as large as the window.
  var viewer = document.getElementById("viewer");
  document.addEventListener("click", function (event) {
    var picture = event.target;
    if (picture.tagName !== "IMG" || !viewer.showModal) { return; }
    if (viewer.open) { viewer.close(); return; }
    viewer.replaceChildren(picture.cloneNode(), document.createElement("p"));
    viewer.querySelector("p").textContent = picture.title;
    viewer.showModal();
  });
  viewer.addEventListener("click", function (event) { if (event.target === viewer) { viewer.close(); } });

  // On paper there is no window to fit into.
  window.addEventListener("beforeprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: PAPER_PX, autosize: false }); });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: null, autosize: true }); });
  });

  Promise.all(plots.map(draw)).then(function () {
    document.documentElement.setAttribute("data-figures", String(plots.length));
  });
})();
