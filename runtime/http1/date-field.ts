/** The Date field of responses that come without one, written anew once a second. */
export class DateField {
  #second = 0;
  #line = "";

  /** The field with its line end. */
  get line(): string {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#line = `date: ${new Date(now).toUTCString()}\r\n`;
    }
    return this.#line;
  }
}
