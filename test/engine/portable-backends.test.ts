import { describeBackends } from './conformance.ts';

describeBackends('portable');
