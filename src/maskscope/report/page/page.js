(function () {
  "use strict";
  var PAPER_PX = 680;
  var settings = { responsive: true, displayModeBar: false };
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));

  function draw(plot) {
    var source = document.querySelector('script[data-for="' + plot.id + '"]');
    var content = JSON.parse(source.textContent);
    return Plotly.newPlot(plot, content.data, content.layout, settings);
  }

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
