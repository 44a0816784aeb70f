// The decide module of the guards that are measured: allows, whatever it is.

import type { DecideNow } from 'fanotify';

export const decide: DecideNow = () => 'allow';
