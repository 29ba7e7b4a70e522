import { describeEngine } from './conformance.ts';

describeEngine('linux');
