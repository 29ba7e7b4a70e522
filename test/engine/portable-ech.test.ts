import { describeEchOf } from './conformance.ts';

describeEchOf('portable');
