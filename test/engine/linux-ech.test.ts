import { describeEchOf } from './conformance.ts';

describeEchOf('linux');
