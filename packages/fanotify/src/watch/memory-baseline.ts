// The baseline in memory: about 90 bytes an entry.

import type { Baseline, Known, Listed } from './baseline.ts';
import { EntryTree } from './entry-tree.ts';

/** A {@link Baseline} that is a tree in memory. A move takes the same time whatever is below. */
export class MemoryBaseline implements Baseline {
  #tree = new EntryTree();

  get(path: Buffer): Known | undefined {
    const slot = this.#tree.find(path);
    return slot === 0 ? undefined : this.#tree.known(slot);
  }

  set(path: Buffer, known: Known): void {
    this.#tree.setKnown(this.#tree.make(path), known);
  }

  delete(path: Buffer): void {
    const slot = this.#tree.find(path);
    if (slot === 0) return;
    const parent = this.#tree.parent(slot);
    this.#tree.remove(slot);
    this.#tree.prune(parent);
  }

  move(from: Buffer, to: Buffer): void {
    const slot = this.#tree.find(from);
    if (slot === 0 || !this.#tree.isKnown(slot)) return;
    const above = this.#tree.parent(slot);
    const replaced = this.#tree.find(to);
    if (replaced !== 0) this.#tree.remove(replaced);
    this.#tree.move(slot, to);
    this.#tree.prune(above);
  }

  *entries(root: Buffer): Iterable<Listed> {
    const tree = this.#tree;
    const start = tree.find(root);
    for (let slot = start; slot !== 0; slot = tree.after(slot, start)) {
      const known = tree.known(slot);
      if (known) yield { path: tree.path(slot), known };
    }
  }

  close(): void {
    this.#tree = new EntryTree();
  }
}
