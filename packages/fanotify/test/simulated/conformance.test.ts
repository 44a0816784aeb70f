// Every conformance case on the simulated tmpfs, which is the one that has the longest.

import { testConformance } from './conformance-cases.ts';

testConformance('tmpfs');
