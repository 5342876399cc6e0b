"use strict";

whileLoading(() => [
  async () => {
    const figure = JSON.parse(document.getElementById("figure").textContent);
    await drawFigure(document.querySelector(".plot"), figure);
  },
]);
