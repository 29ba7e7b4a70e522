import { describeEngine } from './conformance.ts';

describeEngine('portable');
