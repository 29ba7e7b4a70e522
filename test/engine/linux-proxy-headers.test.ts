import { describeProxyHeaders } from './conformance.ts';

describeProxyHeaders('linux');
