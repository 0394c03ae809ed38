// Error numbers on Windows: Node's own, which are libuv's (uv/errno.h), without their sign. The numbers of the C
// library mean nothing to Node there.

#pragma once

#include <cstdint>

namespace lio {

/// Positive, so that they are used as errno is elsewhere. The names are POSIX's with a prefix, for <errno.h> makes
/// macros of the plain ones.
enum ErrorNumber : int {
  kEACCES = 4092,
  kEADDRINUSE = 4091,
  kEADDRNOTAVAIL = 4090,
  kEAFNOSUPPORT = 4089,
  kEAGAIN = 4088,
  kEALREADY = 4084,
  kEBADF = 4083,
  kEBUSY = 4082,
  kECANCELED = 4081,
  kECONNABORTED = 4079,
  kECONNREFUSED = 4078,
  kECONNRESET = 4077,
  kEDESTADDRREQ = 4076,
  kEEXIST = 4075,
  kEFAULT = 4074,
  kEHOSTUNREACH = 4073,
  kEINTR = 4072,
  kEINVAL = 4071,
  kEISCONN = 4069,
  kELOOP = 4067,
  kEMFILE = 4066,
  kEMSGSIZE = 4065,
  kENETDOWN = 4063,
  kENETUNREACH = 4062,
  kENFILE = 4061,
  kENOBUFS = 4060,
  kENOENT = 4058,
  kENOMEM = 4057,
  kENOSPC = 4055,
  kENOSYS = 4054,
  kENOTCONN = 4053,
  kENOTSOCK = 4050,
  kENOTSUP = 4049,
  kEPERM = 4048,
  kEPIPE = 4047,
  kEPROTONOSUPPORT = 4045,
  kEPROTOTYPE = 4044,
  kETIMEDOUT = 4039,
  kUNKNOWN = 4094,
};

/// In the order of `error-code` in wit/types.wit, from `bad-descriptor`, tag 0.
constexpr int kErrorNumbers[] = {kEBADF,  kEEXIST, kENOENT,   kEPERM,        kEACCES,     kEINVAL,   kENOMEM,
                                 kENOSPC, kEMFILE, kENFILE,   kELOOP,        kEINTR,      kENOTSUP,  kENOSYS,
                                 kEFAULT, kEPIPE,  kENOTSOCK, kECONNREFUSED, kECONNRESET, kETIMEDOUT};

/// The number of a failure by the code that Windows gave: GetLastError's, Winsock's, or a negative NTSTATUS. The three
/// have no code in common. A code without a name of POSIX's stays itself.
int ErrorNumberOf(uint32_t code);

}  // namespace lio
