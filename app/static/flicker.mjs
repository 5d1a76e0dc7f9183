/* Prior and current in turn. Slow enough (below 3 changes a second, WCAG 2.3.1) and by hand only where motion is unwelcome. */

const PERIOD = 700;   // ms each image is shown

export class Flicker {
  #comparison;
  #timer = 0;

  constructor(comparison) {
    this.#comparison = comparison;
  }

  get isRunning() {
    return this.#timer !== 0;
  }

  start() {
    this.stop();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.#timer = setInterval(() => this.#turn(), PERIOD);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  /** By hand: the first press stops on the image shown, each further press shows the other. */
  swap() {
    if (this.isRunning) this.stop();
    else this.#turn();
  }

  #turn() {
    this.#comparison.show(this.#comparison.shown === "prior" ? "current" : "prior");
  }
}
