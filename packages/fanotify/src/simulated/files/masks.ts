// The event bits that file operations name themselves, as numbers: masks are numbers inside.

import * as abi from '../../abi/constants.ts';

export const FAN_ACCESS = Number(abi.FAN_ACCESS);
export const FAN_MODIFY = Number(abi.FAN_MODIFY);
export const FAN_ATTRIB = Number(abi.FAN_ATTRIB);
