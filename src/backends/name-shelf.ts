/** A bounded number of things by name; those that were asked for longest ago make room. */
export class NameShelf<T extends { readonly host: string }> {
  readonly #items = new Map<string, T>();
  readonly #max: number;
  readonly #mustStay: (item: T) => boolean;

  /** `mustStay` keeps an item from being pushed out; there must be fewer of them than `max`. */
  constructor(max: number, mustStay: (item: T) => boolean = () => false) {
    this.#max = max;
    this.#mustStay = mustStay;
  }

  get size(): number {
    return this.#items.size;
  }

  /** Looks without counting it as use. */
  peek(host: string): T | undefined {
    return this.#items.get(host);
  }

  use(host: string): T | undefined {
    const item = this.#items.get(host);
    if (item !== undefined) {
      this.#items.delete(host);
      this.#items.set(host, item);
    }
    return item;
  }

  /** Puts an item on the shelf; returns how many others had to go. */
  put(item: T): number {
    this.#items.delete(item.host);
    this.#items.set(item.host, item);
    if (this.#items.size <= this.#max) return 0;
    for (const [host, other] of this.#items) {
      if (this.#mustStay(other)) {
        // Behind the others, so that the next search does not begin with it.
        this.#items.delete(host);
        this.#items.set(host, other);
        continue;
      }
      this.#items.delete(host);
      return 1;
    }
    return 0;
  }

  remove(item: T): void {
    if (this.#items.get(item.host) === item) this.#items.delete(item.host);
  }

  *[Symbol.iterator](): Iterator<T> {
    yield* this.#items.values();
  }
}
