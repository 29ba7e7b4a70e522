import { describeReloads } from './conformance.ts';

describeReloads('linux');
