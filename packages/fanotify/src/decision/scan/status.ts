// What a scanner can say of itself.

/** How the scanner of a guard is doing, counted since its responder was started. */
export interface ScannerStatus {
  /** `connecting`: clamd has not answered yet, or has closed the connection; what is to be scanned waits for it. */
  readonly state: 'up' | 'connecting' | 'down';
  /** Why it is down; null when it is not. */
  readonly why: string | null;
  /** The process that scans; null before the first, and 0 for one that this PID namespace does not show. */
  readonly clamdPid: number | null;
  /** What clamd calls its version and that of its signatures; null before it has said so. */
  readonly version: string | null;
  /** With clamd now, and waiting for their turn. */
  readonly scanning: number;
  readonly waiting: number;
  /** Scans that found nothing, and that found something. */
  readonly clean: number;
  readonly found: number;
  /** Got `onError`. */
  readonly errors: number;
  /** Not scanned: larger than `maxBytes`. */
  readonly tooLarge: number;
}
