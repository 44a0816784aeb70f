// The face `fanotify/broker`: re-exports, nothing else.

/**
 * `fanotify/broker`: what a daemon is made of that gives file events to those without root: the processes that serve clients, as their
 * main process handles them.
 *
 * @module broker
 */

export { accountNamesIn } from '../identity/account-names.ts';
export { Broker, BrokerDiedError, type BrokerListener, type BrokerStatus } from './broker.ts';
export type { BrokerTotals, GroupStatus } from './control.ts';
export {
  type BrokerKind,
  FIRST_REQUEST_BYTES,
  type Refusal,
  readFirstRequest,
  refusalMessage,
} from './first-request.ts';
export { Porter, type PorterListener } from './porter.ts';
export { type ClientLimits, type ClientPeer, countedUid, type Grant, type Rights } from './rights.ts';
