(function () {
  "use strict";
  var PAPER_PX = 640, HALF_PAPER_PX = 320, NARROW_PX = 600, LEGEND_LINE_PX = 20;
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

  // On paper there is no window to fit into.
  window.addEventListener("beforeprint", function () {
    plots.forEach(function (plot) {
      var width = plot.closest("#sweeps") ? HALF_PAPER_PX : PAPER_PX;
      Plotly.relayout(plot, { width: width, autosize: false });
    });
  });
  window.addEventListener("afterprint", function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: null, autosize: true }); });
  });

  Promise.all(plots.map(draw)).then(function () {
    document.documentElement.setAttribute("data-figures", String(plots.length));
  });
})();
