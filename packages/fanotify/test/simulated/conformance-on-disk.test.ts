// Every conformance case on the simulated file systems that are on a disk.

import { testConformance } from './conformance-cases.ts';

for (const filesystem of ['ext4', 'xfs', 'btrfs', 'ext2']) testConformance(filesystem);
