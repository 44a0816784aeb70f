// A decide module: loaded by the responder before anything is marked, and called in its loop.

import type { Access } from './access.ts';
import { DecideModuleError } from './errors.ts';
import type { PermissionEvent } from './options.ts';
import { type Abilities, type Ruling, rulingOf } from './permission.ts';
import { AccessView, type Sight } from './view.ts';

/** @throws DecideModuleError when it cannot be loaded or exports no function `decide`. */
export async function loadDecide(url: string): Promise<(event: PermissionEvent) => unknown> {
  let module: { readonly decide?: unknown };
  try {
    module = (await import(url)) as { readonly decide?: unknown };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DecideModuleError(`the decide module ${url} cannot be loaded: ${message}`, url, { cause });
  }
  const { decide } = module;
  if (typeof decide === 'function') return decide as (event: PermissionEvent) => unknown;
  throw new DecideModuleError(
    `the decide module ${url} exports no function 'decide' (it exports ${Object.keys(module).join(', ') || 'nothing'})`,
    url,
  );
}

/** A decider of accesses out of the function of a decide module: a ruling, or a sentence that says why there is none. */
export function decideBy(
  decide: (event: PermissionEvent) => unknown,
  sight: Sight,
  abilities: Abilities,
): (access: Access) => Ruling | string {
  return (access) => {
    let isHeld = true;
    const decision = decide(
      new AccessView(
        sight,
        access,
        () => isHeld,
        () => access.fd,
      ),
    );
    isHeld = false;
    if (decision instanceof Promise) {
      decision.catch(() => undefined);
      return 'it returned a promise: a decide module answers at once (give guard() a function to take time)';
    }
    return rulingOf(decision, access.kind, abilities);
  };
}
