// What this room throws: bytes that are no fanotify events, or values that no bytes can say.

/** Why bytes could not be read, or a value could not be written. */
export type AbiErrorCode =
  /** The buffer ends inside an event. */
  | 'EVENT_TRUNCATED'
  /** `event_len` or `metadata_len` is smaller than what it has to hold. */
  | 'EVENT_LENGTH'
  /** `vers` is not {@link FANOTIFY_METADATA_VERSION}: the layout of what follows is unknown. */
  | 'VERSION_UNSUPPORTED'
  /** The event ends inside a record. */
  | 'RECORD_TRUNCATED'
  /** A record is shorter than its header, or than its type. */
  | 'RECORD_LENGTH'
  /** `handle_bytes` reaches beyond the record. */
  | 'HANDLE_LENGTH'
  /** The name in a record has no NUL at its end. */
  | 'NAME_UNTERMINATED'
  /** A length was given that the buffer does not have. */
  | 'BUFFER_LENGTH'
  /** A name of an event bit that no kernel knows. */
  | 'NAME_UNKNOWN'
  /** A value that does not fit the structure it is to be written to. */
  | 'VALUE_RANGE';

/**
 * Bytes are not what the kernel writes, or a value is not what it reads. `offset` is where in the buffer, in bytes (0
 * when there is no buffer yet).
 *
 * @example
 * import { AbiError, decodeEvents } from 'fanotify/abi';
 * try {
 *   decodeEvents(new Uint8Array(5));
 * } catch (error) {
 *   if (error instanceof AbiError) console.log(error.code, error.offset); // EVENT_TRUNCATED 0
 * }
 */
export class AbiError extends Error {
  static {
    AbiError.prototype.name = 'AbiError';
  }
  /** What is wrong. */
  readonly code: AbiErrorCode;
  /** Where in the buffer, in bytes; 0 when there is no buffer yet. */
  readonly offset: number;

  /** @param offset Where in the buffer, in bytes. */
  constructor(code: AbiErrorCode, message: string, offset = 0) {
    super(message);
    this.code = code;
    this.offset = offset;
  }
}
