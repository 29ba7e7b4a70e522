/** The open connections of one worker: a set whose members know their place, which spares each one its hash. */
export interface Placed {
  /** Where it stands; -1 while it is in no set. Written by the set alone. */
  place: number;
}

export class OpenConnections<T extends Placed> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Takes a member out; does nothing if it is not in. */
  delete(member: T): void {
    const { place } = member;
    if (place === -1) return;
    member.place = -1;
    const last = this.#members.pop()!;
    if (last === member) return;
    last.place = place;
    this.#members[place] = last;
  }

  /** All members of this moment: they may leave meanwhile. */
  list(): T[] {
    return [...this.#members];
  }
}
