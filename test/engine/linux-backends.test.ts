import { describeBackends } from './conformance.ts';

describeBackends('linux');
