module roomtone-tests-lnd

go 1.25.10

require github.com/lightningnetwork/lnd v0.21.2-beta

// A dependency's own replace lines do not count. Copy them from LND's go.mod with every change of its version.
replace (
	github.com/gogo/protobuf => github.com/gogo/protobuf v1.3.2
	github.com/ulikunitz/xz => github.com/ulikunitz/xz v0.5.11
	google.golang.org/protobuf => github.com/lightninglabs/protobuf-go-hex-display v1.33.0-hex-display
)
