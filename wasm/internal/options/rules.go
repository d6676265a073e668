package options

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Values are what an option takes: Count of them at most, separated by commas, or any number
// where that is 0. Least and Most bound a number, Allowed are the texts of a choice.
type Values struct {
	Kind    string   `json:"kind"`
	Least   float64  `json:"least,omitempty"`
	Most    float64  `json:"most,omitempty"`
	NotZero bool     `json:"not_zero,omitempty"`
	Allowed []string `json:"allowed,omitempty"`
	Count   int      `json:"count"`
}

// The kinds of values. A name is a text that is not empty.
const (
	kindSwitch  = "switch" // no value
	kindText    = "text"
	kindName    = "name"
	kindWhole   = "whole"
	kindNumber  = "number"
	kindChoice  = "choice"
	kindAddress = "address"
)

// rule is what an option takes, and how it is kept: set reads a value, get answers what a model's
// metadata has of it, nil where that is nothing.
type rule struct {
	Values
	set func(value string) error
	get func(index int) any
}

func names(target *[]string) rule {
	return rule{Values: Values{Kind: kindName, Count: 2}, set: list(target, 2, name)}
}

func anyNames(target *[]string) rule {
	return rule{Values: Values{Kind: kindName, Count: 0}, set: list(target, 0, name)}
}

func name(part string) (string, error) {
	if part == "" {
		return "", errors.New("a name is empty")
	}
	return part, nil
}

func sizes(target *[]int, least, most int) rule {
	return rule{
		Values{Kind: kindWhole, Least: float64(least), Most: float64(most), Count: 2},
		list(target, 2, func(part string) (int, error) { return whole(part, least, most) }),
		func(index int) any { return (*target)[index] },
	}
}

func choices(target *[]string, allowed []string) rule {
	return rule{Values: Values{Kind: kindName, Allowed: allowed, Count: 2}, set: list(target, 0, func(part string) (string, error) {
		return oneOf(part, allowed)
	})}
}

func choice(target *string, allowed ...string) rule {
	return rule{
		Values{Kind: kindChoice, Allowed: allowed, Count: 1},
		into(target, func(value string) (string, error) { return oneOf(value, allowed) }),
		func(int) any { return *target },
	}
}

// cacheType is the name of a type of which the host is told the number; it chooses one where none
// is given.
func cacheType(target *string) rule {
	kept := choice(target, slices.Sorted(maps.Keys(cacheTypes))...)
	kept.get = func(int) any {
		if *target == "" {
			return nil
		}
		return cacheTypes[*target]
	}
	return kept
}

// text is told to the host where it is not empty.
func text(target *string) rule {
	kept := told(target)
	kept.get = func(int) any {
		if *target == "" {
			return nil
		}
		return *target
	}
	return kept
}

// told is a text that the host is told also where it is empty.
func told(target *string) rule {
	return rule{
		Values{Kind: kindText, Count: 1},
		into(target, func(value string) (string, error) { return value, nil }),
		func(int) any { return *target },
	}
}

func toggle(target *bool) rule {
	return rule{Values: Values{Kind: kindSwitch}, set: into(target, func(string) (bool, error) { return true, nil })}
}

// negated is true or false, of which the host is told the opposite.
func negated(target **bool) rule {
	allowed := []string{"true", "false"}
	return rule{
		Values{Kind: kindChoice, Allowed: allowed, Count: 1},
		into(target, func(value string) (*bool, error) {
			_, err := oneOf(value, allowed)
			on := value == "true"
			return &on, err
		}),
		func(int) any {
			if *target == nil {
				return nil
			}
			return !**target
		},
	}
}

func number(target *int, least, most int) rule {
	return rule{
		Values{Kind: kindWhole, Least: float64(least), Most: float64(most), Count: 1},
		into(target, func(value string) (int, error) { return whole(value, least, most) }),
		func(int) any { return *target },
	}
}

func optional(target **int, least, most int) rule {
	return rule{
		Values{Kind: kindWhole, Least: float64(least), Most: float64(most), Count: 1},
		into(target, func(value string) (*int, error) {
			parsed, err := whole(value, least, most)
			return &parsed, err
		}),
		func(int) any {
			if *target == nil {
				return nil
			}
			return **target
		},
	}
}

func real(target *float64, least, most float64) rule {
	return rule{
		Values{Kind: kindNumber, Least: least, Most: most, Count: 1},
		into(target, func(value string) (float64, error) { return decimal(value, least, most) }),
		func(int) any { return *target },
	}
}

func fractions(target *string) rule {
	kept := text(target)
	kept.Values = Values{Kind: kindNumber, Most: math.MaxFloat32}
	kept.set = into(target, func(value string) (string, error) {
		for part := range strings.SplitSeq(value, ",") {
			if _, err := decimal(part, 0, math.MaxFloat32); err != nil {
				return "", errors.New("numbers from 0 up are allowed, separated by commas")
			}
		}
		return value, nil
	})
	return kept
}

func address(target *netip.AddrPort) rule {
	return rule{Values: Values{Kind: kindAddress, Count: 1}, set: into(target, func(value string) (netip.AddrPort, error) {
		parsed, err := netip.ParseAddrPort(value)
		if err != nil {
			err = errors.New("an IP address and a port are allowed, such as 127.0.0.1:8080")
		}
		return parsed, err
	})}
}

// notZero is a whole number that is no 0, which would leave nothing to do.
func notZero(target *int, least, most int) rule {
	kept := number(target, least, most)
	kept.NotZero = true
	kept.set = into(target, func(value string) (int, error) {
		parsed, err := whole(value, least, most)
		if err == nil && parsed == 0 {
			err = errors.New("0 leaves nothing to do")
		}
		return parsed, err
	})
	return kept
}

// into keeps a value that can be read.
func into[T any](target *T, read func(string) (T, error)) func(string) error {
	return func(value string) error {
		parsed, err := read(value)
		if err == nil {
			*target = parsed
		}
		return err
	}
}

// list keeps the values that commas separate, most of them at most; 0 is no limit.
func list[T any](target *[]T, most int, read func(string) (T, error)) func(string) error {
	return into(target, func(value string) ([]T, error) {
		var values []T
		for part := range strings.SplitSeq(value, ",") {
			parsed, err := read(part)
			if err != nil {
				return nil, err
			}
			values = append(values, parsed)
		}
		if most > 0 && len(values) > most {
			return nil, fmt.Errorf("at most %d values are allowed", most)
		}
		return values, nil
	})
}

func oneOf(value string, allowed []string) (string, error) {
	if !slices.Contains(allowed, value) {
		if near := nearest(value, allowed); len(near) > 0 {
			return "", fmt.Errorf("is it %s? --help lists all", strings.Join(near, " or "))
		}
		return "", fmt.Errorf("possible values: %s", strings.Join(allowed, ", "))
	}
	return value, nil
}

func whole(value string, least, most int) (int, error) {
	parsed, err := strconv.Atoi(value)
	if err != nil || parsed < least || parsed > most {
		return 0, fmt.Errorf("a whole number from %d to %d is allowed", least, most)
	}
	return parsed, nil
}

func decimal(value string, least, most float64) (float64, error) {
	parsed, err := strconv.ParseFloat(value, 64)
	goAlone := strings.ContainsAny(value, "_xX") // numbers as no other program writes them
	switch {
	case err == nil && !goAlone && parsed >= least && parsed <= most:
		return parsed, nil
	case most < math.MaxFloat32:
		return 0, fmt.Errorf("a number from %g to %g is allowed", least, most)
	case least < 0:
		return 0, errors.New("a number is allowed")
	}
	return 0, fmt.Errorf("a number from %g up is allowed", least)
}
